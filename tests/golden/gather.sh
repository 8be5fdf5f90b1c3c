# Run in NVIDIA's own image, in a stage of the image's build. No word of the lock stands here: names are in the file
# beside. Each library is taken with the parts that it loads by itself, whose names begin as its own does.
set -eu
cd /toolkit
ldconfig -p > CACHE
while read -r name; do
    path=$(awk -v name="$name" '$1 == name { print $NF; exit }' CACHE)
    if [ -z "$path" ]; then
        echo "NVIDIA's image has no $name" >&2
        exit 1
    fi
    stem=${name%%.so*}
    # Not links that lead away: they are for compilers.
    find "$(readlink --canonicalize "${path%/*}")" -maxdepth 1 -name "${stem%%[_-]*}*.so*" \( -type f -o -lname '[!/]*' \)
done < LIBRARIES > FOUND

# Where the loader looks for them, and the folder in which programs do.
mkdir -p layer/etc/ld.so.conf.d
sed 's,/[^/]*$,,' FOUND | LC_ALL=C sort -u > layer/etc/ld.so.conf.d/envcap-toolkit.conf
while read -r folder; do
    case $folder in
        /usr/local/cuda-*/targets/*/lib)
            root=${folder%/targets/*}
            mkdir -p "layer$root"
            ln -s "${folder#"$root/"}" "layer$root/lib64"
            ;;
    esac
done < layer/etc/ld.so.conf.d/envcap-toolkit.conf
find layer -exec touch --no-dereference --date @315532800 {} +

# Without the folders above: those that the base has stay as they are.
sed 's,^/,,' FOUND | LC_ALL=C sort -u |
    tar --create --file libraries.tar --directory / --no-recursion --owner=0 --group=0 --verbatim-files-from --files-from -
find layer ! -type d -printf '%P\n' | LC_ALL=C sort |
    tar --append --file libraries.tar --directory layer --owner=0 --group=0 --verbatim-files-from --files-from -
