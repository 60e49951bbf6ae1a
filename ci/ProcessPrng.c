/* Wine 8 lacks bcryptprimitives.dll, from which Rust's standard library takes its random numbers. This is what it
   needs of it; it lies beside the test programs, and is in nothing that anybody gets. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length) {
    return SystemFunction036(data, (ULONG)length);
}
