"""What a text answers: numbers, letters, calls and code, read strictly by a contract or leniently as a person would.

Pure. The `utils.py` beside each benchmark's lm-eval task chooses from it.
"""
