"""Names and numbers that the frozen code, the rendered image and the engines must agree on."""

CODE_ARCHIVE = "code.tar"  # in the store and in the build context
CODE_FOLDER = "work"  # every member is below it: engines give a folder its owner only when the archive names it
CHANGES_PATCH = "changes.patch"
OWNER = 65532  # the user and group that the evaluation runs as in an image
HOOK_FILE, HOOK_EVENTS = "sitecustomize.py", "events"
OS_PACKAGES = "os-packages"  # the folder of the .deb files in the build context
TOOLKIT = "toolkit"  # the folder of what is run in NVIDIA's image
LOCK_LABEL = "dev.envcap.lock.sha256"
TARGET_LABEL = "dev.envcap.target"
IMAGE_ARCHIVE = "image.tar"  # in the build context: the home and the lock, as they come into the image
HOME = "/home/envcap"  # of the user that the evaluation runs as in an image
LOCK_FOLDER = "usr/share/envcap"  # where an image keeps the lock that it was built from
CONDA_EDITS = "conda-edits.tar"  # in the store and in the build context
EPOCH = 315532800  # 1980-01-01, the earliest time that zip files can hold too: of all files that are made for an image
