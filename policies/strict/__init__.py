"""The ground floor: how data is read, and how what is wrong with it is told. It imports nothing of ours."""
