"""Intake takes reports from people, handsets, the hotline and partner systems, and resolves where they are.

It publishes ReportFiled, and notices to the partners that filed reports. It reads Assigned and Evaluated, so that
whoever reported hears what became of it, and what partners ask. Names and telephone numbers stay here, in one table;
erasing a person deletes one row of it.
"""
