"""The end of a session: the sidecar is told, and stops while the results are computed."""

from __future__ import annotations

import threading

from boxgate_engine.artefacts import RunLog
from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_server.sessions._wire import plain_struct
from boxgate_server.sidecars import Lease, Sidecar


class Ending:
    """A sidecar on its way out; the results stand whatever it does now. debug: what it tells goes to the log."""

    def __init__(self, sidecar: Sidecar | Lease, session_id: str, *, log: RunLog, debug: bool) -> None:
        """End the session and let a process of its own stop on a thread; one that is leased is given back by `wait`."""
        self.sidecar = sidecar
        self.log = log
        self.debug = debug
        answer = sidecar.connection.on_stop(pb.OnStopRequest(session_id=session_id, reason=pb.STOP_REASON_COMPLETED))
        if debug and answer is not None and answer.HasField("report"):
            log.write("stop_report", "final report", source="sidecar", fields={"report": plain_struct(answer.report)})
        self._stopping: threading.Thread | None = None
        if isinstance(sidecar, Sidecar):
            # The process takes a while to end; results and metrics do not wait for it.
            self._stopping = threading.Thread(target=sidecar.stop, name="boxgate-stop")
            self._stopping.start()

    def wait(self) -> None:
        """Wait for the end of the sidecar. One that is leased is trusted with another session from now on."""
        if self._stopping is None:
            self.sidecar.stop()
        else:
            self._stopping.join()

    def note(self) -> None:
        """Wait for the end of the sidecar and note what it left."""
        self.wait()
        if self.sidecar.stop_unclean:
            self.log.write(
                "stop_unclean",
                f"the sidecar did not stop cleanly; the results stand{self._fault()}",
                level="warning",
            )
        for name, text in (("stdout", self.sidecar.stdout_tail()), ("stderr", self.sidecar.stderr_tail())):
            for line in text.splitlines():
                self.log.write(name, line, level="debug", source="sidecar")

    def _fault(self) -> str:
        """Return a clause with the last line of what is known of a failed stop, such as the exception; none in prod."""
        fault = self.sidecar.connection.stop_fault
        if not self.debug or fault is None:
            return ""
        return f": {fault.what.rstrip().splitlines()[-1]} (logs.ndjson has all that it wrote)"
