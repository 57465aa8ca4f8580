import statistics


def median(numbers):
    return statistics.median(numbers) if numbers else 0.0
