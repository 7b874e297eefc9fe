"""Market calendars: when a market is open, and where its trading days end."""

from boxgate_engine.calendars.calendar import Calendar, Sessions
from boxgate_engine.calendars.selection import calendar_by_name, calendar_of, default_calendar

__all__ = ["Calendar", "Sessions", "calendar_by_name", "calendar_of", "default_calendar"]
