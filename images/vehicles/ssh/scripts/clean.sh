# Removes files below the root ($1): one path a line on stdin; folders that are empty then go too, marks stay.
cd "$1" 2>/dev/null || exit 0
while IFS= read -r file; do
    rm -f "$file"
    folder=$(dirname "$file")
    while [ "$folder" != . ] && rmdir "$folder" 2>/dev/null; do folder=$(dirname "$folder"); done
done
exit 0
