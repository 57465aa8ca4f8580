# why: Thousands of set members with one hash: a judge that hashes untrusted values spends minutes.
# allow: failed output_limit timeout
# limits: {"wall_s": 5, "cpu_s": 5, "mem_mb": 256}
def f(x):
    return {number * ((1 << 61) - 1) for number in range(3_000)}
