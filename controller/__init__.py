"""The LISP control plane: mapping systems, the routers' control plane, and their P4Runtime writer."""
