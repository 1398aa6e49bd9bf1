"""How programs with batched linear algebra are compiled."""

# On a CPU, jaxlib 0.10 factorizes a batch of matrices in tasks of a pool of threads, of which the
# caller may be one that waits. With as many such callers as threads, two on two cores, nothing goes
# on for ever: two factorizations of one program that do not depend on each other are enough, or two
# programs at once. Compiled like this, a program does such work in the thread that runs it.
SERIAL = {"xla_cpu_multi_thread_eigen": False}
