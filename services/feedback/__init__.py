"""Feedback gives every case its verdict: closed, always with an outcome, or sent back for rework.

It learns the plan from `Assigned`, the ends of the work from `Resolved` and the extensions from dispatch's steps, in
whatever order they come, and puts what is done into the check queue, where somebody who did not do the work checks it.
It scores what it closes by published formulas, takes the reporters' ratings, and keeps the indicators per unit, area
and category.
"""
