"""The charts and tables of a page as files: pictures, tables, data."""

from boxgate_engine.report.exports.pictures import write_pictures
from boxgate_engine.report.exports.sheets import write_sheets

__all__ = ["write_pictures", "write_sheets"]
