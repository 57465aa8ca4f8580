"""One module a benchmark; `evals.benchmark.REGISTRY` names them."""
