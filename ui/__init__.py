"""What several pages share; each page has a folder of its own.

page.py         how a page opens, its links, the one place that shows errors
words.py        percent, points, states; Markdown escaped
address.py      the choices of a page in its query string
cached.py       bounded caches
charts.py       records -> figures, of one run or several
clickable.py    figures whose marks filter photos
checkpoints.py  the checkpoints to choose from
sources.py      the demo, VOC 2012 or a folder; downloads
pictures.py     photos and masks made small, in rows, or two under one line that is moved
legend.py       which colour is which class
downloads.py    a button that makes and saves a file
internals.py    what is used of Streamlit beyond its API, behind one switch
job_view.py     the progress of a job
dataset/        the Dataset page
train/          the Train page; Home shows its runs too
compare/        the Compare page; Present uses it too
present/        the Present page
segment/        the Segment page
"""
