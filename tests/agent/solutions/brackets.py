def first_error(code):
    pairs = {")": "(", "]": "[", "}": "{"}
    opened = []
    for index, sign in enumerate(code):
        if sign in pairs.values():
            opened.append(sign)
        elif sign in pairs and (not opened or opened.pop() != pairs[sign]):
            return index
    return len(code) if opened else -1
