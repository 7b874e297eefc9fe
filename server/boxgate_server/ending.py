"""The end of a session: the sidecar is told, and stops while the results are computed."""

from __future__ import annotations

from concurrent.futures import Executor, Future

from boxgate_engine.artefacts import RunLog
from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_server.sessions._wire import plain_struct
from boxgate_server.sidecars import EventStream, Lease, Sidecar


class Ending:
    """A sidecar on its way out; the results stand whatever it does now, unless it answers more than it was asked.

    debug: what it tells goes to the log.
    """

    def __init__(
        self,
        sidecar: Sidecar | Lease,
        stream: EventStream,
        session_id: str,
        *,
        executor: Executor,
        log: RunLog,
        debug: bool,
    ) -> None:
        """End stream and session on a thread of the executor, for results and metrics do not wait for it."""
        self.sidecar = sidecar
        self.log = log
        self.debug = debug
        self._stream = stream
        self._session_id = session_id
        self._answer: pb.OnStopResponse | None = None
        self._stopping: Future[None] = executor.submit(self._stop)

    def wait(self) -> None:
        """Wait for the end of the session: the process is gone, or is given back where it was leased.

        Raises Unsolicited if there was one answer too many.
        """
        self._stopping.result()

    def is_orderly(self) -> bool:
        """Wait for the end of the session; return whether it came to it as `wait` expects."""
        return self._stopping.exception() is None

    def note(self) -> None:
        """Wait for the end of the sidecar and note what it left."""
        self.wait()
        if self.debug and self._answer is not None and self._answer.HasField("report"):
            report = plain_struct(self._answer.report)
            self.log.write("stop_report", "final report", source="sidecar", fields={"report": report})
        if self.sidecar.stop_unclean:
            self.log.write(
                "stop_unclean",
                f"the sidecar did not stop cleanly; the results stand{self._fault()}",
                level="warning",
            )
        for name, text in (("stdout", self.sidecar.stdout_tail()), ("stderr", self.sidecar.stderr_tail())):
            for line in text.splitlines():
                self.log.write(name, line, level="debug", source="sidecar")

    def _stop(self) -> None:
        self._stream.close()
        request = pb.OnStopRequest(session_id=self._session_id, reason=pb.STOP_REASON_COMPLETED)
        self._answer = self.sidecar.connection.on_stop(request)
        self.sidecar.stop()

    def _fault(self) -> str:
        """Return a clause with the last line of what is known of a failed stop, such as the exception; none in prod."""
        fault = self.sidecar.connection.stop_fault
        if not self.debug or fault is None:
            return ""
        return f": {fault.what.rstrip().splitlines()[-1]} (logs.ndjson has all that it wrote)"
