"""Benchmarks of our own: tasks, references and inputs, written for this project. No text of HumanEval or
MBPP.
"""
