/* driver.h over module_api.h, on a dcnv4i_module_device. Its words are the API's, which each device fills into its copy. */
#ifndef DCNV4I_MODULE_DRIVER_H
#define DCNV4I_MODULE_DRIVER_H

#include "module_device.h"

extern const dcnv4i_driver dcnv4i_module_driver;

#endif
