"""What several pages share; what one page alone shows has a folder of its own.

page.py         how a page opens, its links, the one place that shows errors
words.py        percent, durations, sizes, states: how numbers are read
address.py      what a page shows, in its address, and what a link takes along
cached.py       what is kept between reruns, every cache bounded
charts.py       records -> figures, of one run or several
clickable.py    figures whose marks choose photos
checkpoints.py  which checkpoints there are to choose from
sources.py      the demo, VOC 2012, a folder; how what is missing gets there
pictures.py     photos and masks made small, in rows, or two under one line that is moved
legend.py       which colour is which class
downloads.py    a button that saves what is made when it is pressed
internals.py    what is used of Streamlit beyond its API, behind one switch
job_view.py     how far work in a process of its own is
dataset/        the Dataset page
train/          the Train page; Home shows its runs too
compare/        the Compare page; Present uses it too
present/        the Present page
segment/        the Segment page
"""
