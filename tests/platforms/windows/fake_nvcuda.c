/* A CUDA driver that says where it was loaded from, by an error number. */
__declspec(dllexport) int cuInit(unsigned flags) {
    (void)flags;
#if defined(PLACE_found)
    return 100;
#else
    return 999;
#endif
}
