"""The Pulumi program: settings → verdict → fleet → gateway → monitoring → exports."""
