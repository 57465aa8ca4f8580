# why: A script that floods stdout.
# allow: output_limit
# kind: program
# cases: [{"stdin": "", "stdout": "y"}]
while True:
    print("y" * 1000)
