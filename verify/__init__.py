"""Verdicts: does this program do what its tests say?"""
