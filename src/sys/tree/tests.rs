//! Tests of the tree in both ways of resolving; run as any user, in a directory of their own.
