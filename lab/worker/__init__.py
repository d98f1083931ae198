"""Contains the only code of the lab that runs inside a worker; standard library only."""
