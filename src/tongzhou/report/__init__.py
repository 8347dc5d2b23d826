"""Pages that explain a joint run or a published table: figures in, one self-contained HTML file out.

The job fills :class:`tongzhou.report.figures.Figures`; :func:`tongzhou.report.page.render` draws it. This
room draws and never computes: whatever a reader sees stands as a value in the figures.
"""
