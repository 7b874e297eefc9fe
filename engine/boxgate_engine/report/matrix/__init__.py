"""The page of a matrix: all its runs in one HTML file that needs nothing else, and its exports."""

from boxgate_engine.report.matrix.facts import Constraint, Luck, MatrixFacts, Objective, Reason, Stitched
from boxgate_engine.report.matrix.index_files import write_csv, write_parquet
from boxgate_engine.report.matrix.page import FILE_NAME, matrix_page_data, render_matrix_page
from boxgate_engine.report.matrix.pictures import write_matrix_pictures

__all__ = [
    "FILE_NAME",
    "Constraint",
    "Luck",
    "MatrixFacts",
    "Objective",
    "Reason",
    "Stitched",
    "matrix_page_data",
    "render_matrix_page",
    "write_csv",
    "write_matrix_pictures",
    "write_parquet",
]
