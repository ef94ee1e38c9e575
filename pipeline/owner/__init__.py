"""One process owns a run; others reach it through a local socket, by the same doors.

The owner's session belongs to one thread. So there are two ways in. What only reads (`reading`) is answered at once, on
the connection's own thread, from the ledger's file. What changes the run is laid on the `desk`, and the session's
thread takes it from there whenever it waits: for a trial, for scoring, for clients. Waiting for a trial is reading: a
long one holds nobody up.

`wire` is the form of a message, `listener` the socket, `client` the other end, `entrance` decides who owns.
"""
