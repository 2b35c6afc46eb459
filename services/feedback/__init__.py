"""Feedback gives every case its verdict: closed, always with an outcome, or sent back for rework.

It learns the plan from `Assigned`, the ends of the work from `Resolved` and the extensions from dispatch's steps, in
any order, and puts cases whose work is done into the check queue, where somebody who did not do the work checks them.
It scores what it closes by published formulas, takes the reporters' ratings, and keeps the figures per unit, area and
category.
"""
