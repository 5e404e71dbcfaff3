using System.Data;
using System.Data.Common;

namespace Actors.Calling;

/// <summary>A transaction that a caller lends for a start.</summary>
internal static class CallersTransaction
{
    /// <summary>The open connection that the open transaction is on.</summary>
    /// <exception cref="ArgumentException">The transaction has ended, or its connection is closed.</exception>
    public static DbConnection ConnectionOf(DbTransaction transaction)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        try
        {
            if (transaction is { Connection: { } connection, IsolationLevel: not IsolationLevel.Unspecified }
                && connection.State.HasFlag(ConnectionState.Open))
            {
                return connection;
            }
        }
        catch (InvalidOperationException)
        {
            // So a provider says that the transaction has ended.
        }

        throw new ArgumentException(
            "The transaction has ended, or its connection is closed: give one that is open, on the database that holds the workflows.",
            nameof(transaction));
    }
}
