"""Intake takes reports from people, handsets, the hotline and partners' systems, resolves where they are, and publishes
ReportFiled, and notices to the partners that filed reports.

It reads Assigned and Evaluated, so that a reporter learns what became of the report, and the requests of partners.
Names and telephone numbers stay here in one table, so that erasing a person deletes one row of it; the district's
categories and areas are public.
"""
