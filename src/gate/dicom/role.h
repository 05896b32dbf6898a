/*
 * The process role `dicom`: the listener, and the process of one association that it forks.
 */
#ifndef FANAL_GATE_DICOM_ROLE_H
#define FANAL_GATE_DICOM_ROLE_H

/* Private storage classes ([dicom] storage_classes) that are taken beyond those of PS3.6. */
#define PRIVATE_STORAGE_CLASSES_MAX 256

/* Serves until the supervisor says STOP or is gone. Returns an exit status of channel/role.h. */
int dicom_listener_run(int control_fd);

#endif
