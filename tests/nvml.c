// NVML as a program sees it on a machine with an H100, or with a card for consumers where FAKE_CONSUMER is set (nvml.h of
// the NVIDIA driver). Return codes: 3 not supported, 4 no permission, 18 library/driver mismatch.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static int told(const char *name, int otherwise) { char *v = getenv(name); return v ? atoi(v) : otherwise; }
static int consumer(void) { return told("FAKE_CONSUMER", 0); }  // what such a card lacks, its driver does not support
int nvmlInitWithFlags(unsigned flags) { return told("FAKE_INIT", 0); }
int nvmlInit_v2(void) { return told("FAKE_INIT", 0); }
int nvmlShutdown(void) { return 0; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) { strncpy(text, "570.86.10", size); return 0; }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 12080; return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = told("FAKE_COUNT", 1); return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = (void *)(size_t)(index + 1); return 0; }
int nvmlDeviceGetName(void *device, char *text, unsigned size)
{ strncpy(text, consumer() ? "NVIDIA GeForce RTX 4090" : (size_t)device > 100 ? "NVIDIA H100 80GB HBM3 MIG 1g.10gb" : "NVIDIA H100 80GB HBM3", size);
  return 0; }
int nvmlDeviceGetMemoryInfo(void *device, unsigned long long *memory)
{ memory[0] = consumer() ? 25757220864ULL : 85520809984ULL; memory[1] = memory[2] = 0; return told("FAKE_MEMORY", 0); }
int nvmlDeviceGetCudaComputeCapability(void *device, int *major, int *minor)
{ *major = consumer() ? 8 : 9; *minor = consumer() ? 9 : 0; return 0; }
int nvmlDeviceGetMigMode(void *device, unsigned *now, unsigned *next)
{ *now = *next = 1; return told("FAKE_MIG", consumer() ? 3 : 0); }
int nvmlDeviceGetEccMode(void *device, int *now, int *next) { *now = 1; *next = 0; return told("FAKE_ECC", consumer() ? 3 : 0); }
int nvmlDeviceGetUUID(void *device, char *text, unsigned size)
{ sprintf(text, (size_t)device > 100 ? "MIG-%04d-canary" : "GPU-%04d-canary", (int)(size_t)device);
  return told("FAKE_UUID", 0); }
int nvmlDeviceGetNumGpuCores(void *device, unsigned *n) { *n = consumer() ? 16384 : 16896; return told("FAKE_MORE", 0); }
int nvmlDeviceGetComputeMode(void *device, int *mode) { *mode = consumer() ? 0 : 3; return told("FAKE_MORE", 0); }
int nvmlDeviceGetPowerManagementLimit(void *device, unsigned *n) { *n = consumer() ? 450000 : 700000; return told("FAKE_MORE", 0); }
int nvmlDeviceGetMaxClockInfo(void *device, int type, unsigned *n)
{ *n = type == 2 ? (consumer() ? 10501 : 2619) : consumer() ? 3105 : 1980; return told("FAKE_MORE", 0); }
int nvmlDeviceGetMaxPcieLinkGeneration(void *device, unsigned *n) { *n = consumer() ? 4 : 5; return told("FAKE_MORE", 0); }
int nvmlDeviceGetMaxPcieLinkWidth(void *device, unsigned *n) { *n = 16; return told("FAKE_MORE", 0); }
int nvmlDeviceGetVbiosVersion(void *device, char *text, unsigned size)
{ strncpy(text, "96.00.74.00.01", size); return told("FAKE_MORE", 0); }
int nvmlDeviceGetMaxMigDeviceCount(void *device, unsigned *n) { *n = 7; return 0; }
int nvmlDeviceGetMigDeviceHandleByIndex(void *device, unsigned index, void **part)
{ *part = (void *)(size_t)(101 + index); return index < told("FAKE_SLICES", 2) ? 0 : 6; }
int nvmlDeviceGetAttributes_v2(void *device, unsigned *a)
{ memset(a, 0, 40); a[0] = 16; ((unsigned long long *)a)[4] = 9984; return 0; }
const char *nvmlErrorString(int code) { return "words of the fake library"; }
