from verify.bend.toolchain import worker


def pool():
    worker()


def close():
    pass
