"""The loop that makes the heads better with the agent's own verified work.

    tasks        doctest tasks: what they are and how they are stored (built by examples, standalone, build)
    rollout      attempts at tasks, recorded as trajectories
    selection    which trajectories are worth learning from, and why the others are not
    training     a short run of model.train on kept and replayed rows
    evaluation   old against new on held-out tasks, paired, with intervals; drift
    report       a round's report as a line and as a table
    rounds       all of it in order, resumable

Promotion and versions are in `agent.headstore`.
"""
