# No answer could be read as a program; findings.json says why.
