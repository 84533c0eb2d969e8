/* dcnv4-probe.exe: lies beside dcnv4.dll, which starts it to look for devices. A driver that ends the process ends this one. */
#include "windows_child.h"

int main(void) {
    return dcnv4i_child_main();
}
