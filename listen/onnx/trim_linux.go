package onnx

/*
#include <stddef.h>
extern int malloc_trim(size_t pad) __attribute__((weak)); // glibc has it, musl does not
static void trim(void) { if (malloc_trim) malloc_trim(0); }
*/
import "C"

// giveBack returns to the system what loading the models took and freed.
func giveBack() { C.trim() }
