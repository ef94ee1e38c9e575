"""Model families: how their turns are rendered, ended and adapted. One module with a `FAMILY` each."""
