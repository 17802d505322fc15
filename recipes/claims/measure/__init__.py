"""What textbooks claim about recurrent networks, measured; `../run.py` is the program."""
