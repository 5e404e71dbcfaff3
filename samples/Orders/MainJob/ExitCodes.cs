namespace Actors.Orders.MainJob;

/// <summary>What the program's exit tells.</summary>
public static class ExitCodes
{
    /// <summary>Everything that should be true is.</summary>
    public const int Holds = 0;

    /// <summary>Something differs, a line was skipped, or the job could not be done.</summary>
    public const int HoldsNot = 1;

    /// <summary>The program was asked for what it cannot do.</summary>
    public const int Usage = 2;

    /// <summary>Something that is needed is missing; the message says what, and how to get it.</summary>
    public const int Missing = 3;

    /// <summary>Ended by Ctrl-C or SIGTERM before the job was done.</summary>
    public const int Interrupted = 130;
}
