"""The learning loop, told end to end with real processes: `make loop`, or `make loop DATA=FOLDER`.

    python -m tests.loop                  phantom sites: bootstrap, traffic, verdicts, retrain, gates, swap, rollback
    python -m tests.loop --data FOLDER    the same with a folder of labelled images, ending as the evidence says

Each writes `docs/loop-*.md` with the numbers of its run.
"""
