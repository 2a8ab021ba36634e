#!/bin/sh
# Starts {{service}} in the foreground. Written by Crossover's installer: changes here are overwritten.
set -eu
cd {{root}}
{{workers}}{{image}}PATH="${PATH}:/usr/local/sbin:/usr/sbin:/sbin"
CROSSOVER_ROOT={{root}}
export PATH CROSSOVER_ROOT
{{environment}}exec {{command}}
