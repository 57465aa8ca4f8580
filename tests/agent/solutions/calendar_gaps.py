def free_slots(meetings, start, end):
    slots = []
    for begin, finish in [*sorted(meetings), [end, end]]:
        begin = min(begin, end)
        if begin > start:
            slots.append([start, begin])
        start = max(start, finish)
    return slots
