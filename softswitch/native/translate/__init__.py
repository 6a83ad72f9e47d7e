"""From a program to LLVM IR: each part of the program supplies what the runtime's hooks ask for."""
