"""The dashboard, whose trainers build networks of few layers: `python -m tests.programs.thin_dashboard`."""

import sys

from streamlit.web.cli import main

from core import jobs

if __name__ == "__main__":
    jobs.PROGRAM = "tests.programs.thin"
    sys.argv[1:1] = ["run", "streamlit_app.py"]
    main(prog_name="streamlit")
