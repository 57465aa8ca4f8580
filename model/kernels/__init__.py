"""Triton kernels of the CUDA path. Each has a plain torch reference beside it; the CPU path never comes
here.
"""
