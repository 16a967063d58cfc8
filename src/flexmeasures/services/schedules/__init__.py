"""Making schedules: asking for them, gathering what is known, storing and showing plans. How plans are judged is the
domain's business (`domain.scheduling.planning`).
"""
