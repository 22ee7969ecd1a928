"""The patients' pages: whoever holds a link sees its one page. An application of its own, on its own port."""
