"""The loop: task, plan, scaffold, infill, verify, repair, trajectory."""
