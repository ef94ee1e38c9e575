"""Where another program runs that must see one folder and nothing else of its user's: in bubblewrap, watched.

`walls` is the sandbox, `programs` what a program needs of the system to start in it, `proxy` the only way out (to named
hosts), `inside` what runs in there beside the program, `process` its life from outside.
"""
